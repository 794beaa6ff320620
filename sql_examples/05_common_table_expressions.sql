-- Common table expressions are planned like the rest: what one finds can bind the next, and nothing is fetched twice.
WITH questions AS (
    SELECT thread_id, id, created_at
    FROM openai.assistants.messages
    WHERE thread_id IN ({{ thread }}, {{ other_thread }}) AND role = 'user'
),
answered AS (
    SELECT thread_id, max(completed_at) AS completed_at
    FROM openai.assistants.runs
    WHERE thread_id IN (SELECT thread_id FROM questions) AND status = 'completed'
    GROUP BY thread_id
)
SELECT q.thread_id, count(*) AS questions, count(*) FILTER (q.created_at > a.completed_at) AS open_questions
FROM questions AS q
LEFT JOIN answered AS a ON a.thread_id = q.thread_id
GROUP BY q.thread_id
ORDER BY q.thread_id;
