-- DELETE by key sends one request for each key.
DELETE FROM openai.assistants.messages
WHERE thread_id = {{ thread }} AND message_id = {{ message }}
RETURNING id, deleted;

-- Any other WHERE selects the rows first. At most 100 objects are deleted by one statement (max_writes).
DELETE FROM openai.assistants.messages
WHERE thread_id = {{ thread }} AND role = 'user';

SELECT role, count(*) AS left_over
FROM openai.assistants.messages
WHERE thread_id = {{ thread }}
GROUP BY role;
