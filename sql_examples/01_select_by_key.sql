-- One object by its key.
-- The API wants thread_id in the path; the field of the row is called id. Either name binds the key.
-- Run it with: apiql query -f sql_examples/01_select_by_key.sql -p thread=thread_...
SELECT id, created_at, metadata
FROM openai.assistants.threads
WHERE thread_id = {{ thread }};
