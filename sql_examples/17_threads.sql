-- Every way to reach openai.assistants.threads, one statement each: INSERT, EXEC, SELECT, UPDATE and DELETE.
INSERT INTO openai.assistants.threads (data__messages, data__tool_resources, data__metadata)
SELECT
    '[{"role": "user", "content": "Hello!"}]',
    '{"code_interpreter": {"file_ids": []}}',
    '{"customer": "eve"}'
RETURNING id, tool_resources, metadata;

EXEC openai.assistants.threads.create_thread_and_run @assistant_id={{ assistant }}
@@json='{"thread": {"messages": [{"role": "user", "content": "Are you there?"}]}}';

SELECT id, created_at, metadata, object, tool_resources
FROM openai.assistants.threads
WHERE thread_id = {{ thread }};

UPDATE openai.assistants.threads
SET tool_resources = '{}', metadata = '{"customer": "ada"}'
WHERE thread_id = {{ thread }};

DELETE FROM openai.assistants.threads
WHERE thread_id = {{ thread }}
RETURNING id, object, deleted;
