-- Several keys: one request each, sent side by side. A key that the API does not know gives no row.
-- OR between keys, and = ANY of a list, do the same.
SELECT id, metadata->>'customer' AS customer
FROM openai.assistants.threads
WHERE thread_id IN ({{ thread }}, {{ other_thread }}, 'thread_that_nobody_made')
ORDER BY customer;

SELECT id, status
FROM openai.assistants.runs
WHERE thread_id = {{ thread }} OR thread_id = {{ other_thread }}
ORDER BY created_at;
