-- INSERT from a query over resources: every question of one thread is asked again in another.
-- NULL in an INSERT means "not given", so that the API's own default holds: here for metadata.
INSERT INTO openai.assistants.messages (thread_id, role, content, metadata)
SELECT {{ other_thread }}, role, content->0->'text'->>'value', nullif(metadata, '{}')
FROM openai.assistants.messages
WHERE thread_id = {{ thread }} AND role = 'user'
ORDER BY created_at
RETURNING thread_id, role, content->0->'text'->>'value' AS text, metadata;
