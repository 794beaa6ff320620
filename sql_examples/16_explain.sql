-- The plan of a statement: which method is called, what binds its parameters, and in which order. Nothing is sent.
EXPLAIN
SELECT a.name, count(*)
FROM openai.assistants.runs AS r
JOIN openai.assistants.assistants AS a ON a.id = r.assistant_id
WHERE r.thread_id IN ({{ thread }}, {{ other_thread }})
GROUP BY a.name;

EXPLAIN
DELETE FROM openai.assistants.messages
WHERE thread_id = {{ thread }} AND role = 'user';
