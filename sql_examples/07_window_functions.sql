-- Windows over messages: the position in the thread, and the seconds since the message before.
-- QUALIFY keeps the newest two of each thread.
SELECT
    thread_id,
    row_number() OVER in_order AS position,
    role,
    created_at - lag(created_at) OVER in_order AS seconds_later
FROM openai.assistants.messages
WHERE thread_id IN ({{ thread }}, {{ other_thread }})
WINDOW in_order AS (PARTITION BY thread_id ORDER BY created_at)
QUALIFY row_number() OVER (PARTITION BY thread_id ORDER BY created_at DESC) <= 2
ORDER BY thread_id, position;
