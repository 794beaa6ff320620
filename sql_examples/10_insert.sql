-- INSERT creates one object a row, each with one request. RETURNING reads the API's answers.
-- Columns are path and body parameters; the prefix data__ that StackQL uses is accepted.
INSERT INTO openai.assistants.threads (messages, metadata)
VALUES (
    '[{"role": "user", "content": "Can I change my address?"}]',
    '{"team": "support", "customer": "dora"}'
)
RETURNING id, created_at, metadata;

INSERT INTO openai.assistants.messages (thread_id, data__role, data__content)
SELECT {{ thread }}, 'user', 'One more question.'
RETURNING id, thread_id, role;
