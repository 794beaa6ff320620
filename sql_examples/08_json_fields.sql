-- Objects and arrays are JSON columns: ->> gives text, -> gives JSON, unnest gives a row an element.
SELECT m.role, part->>'type' AS type, part->'text'->>'value' AS text
FROM openai.assistants.messages AS m, unnest(m.content::JSON[]) AS parts(part)
WHERE m.thread_id = {{ thread }}
ORDER BY m.created_at;

SELECT id, (usage->>'total_tokens')::BIGINT AS tokens
FROM openai.assistants.runs
WHERE thread_id = {{ thread }};
