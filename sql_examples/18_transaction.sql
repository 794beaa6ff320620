-- Writes between BEGIN and COMMIT are collected: they are checked where they stand, and sent at COMMIT, in their order.
-- Local tables are committed together with them, and ROLLBACK sends nothing.
CREATE TABLE handled (thread_id VARCHAR);

BEGIN;

INSERT INTO handled VALUES ({{ thread }});

INSERT INTO openai.assistants.messages (thread_id, role, content)
VALUES ({{ thread }}, 'user', 'Is there any news?');

UPDATE openai.assistants.threads
SET metadata = json_merge_patch(metadata, '{"state": "open"}')
WHERE thread_id IN ({{ thread }}, {{ other_thread }}) AND metadata->>'team' = 'support';

COMMIT;

-- An API has no transactions. What was done can be undone by these statements, newest first.
SELECT inverse
FROM apiql.last_writes
WHERE inverse IS NOT NULL
ORDER BY statement DESC, row DESC;
