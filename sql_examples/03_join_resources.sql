-- Resources joined: steps can only be listed for a run, so the runs are fetched first and each brings its keys.
-- Assistants can be listed without a key: that is one request, and it does not wait for the runs.
SELECT r.id AS run, a.name AS assistant, s.type, s.status
FROM openai.assistants.runs AS r
JOIN openai.assistants.run_steps AS s ON s.thread_id = r.thread_id AND s.run_id = r.id
JOIN openai.assistants.assistants AS a ON a.id = r.assistant_id
WHERE r.thread_id = {{ thread }}
ORDER BY r.created_at;
