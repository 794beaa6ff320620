-- A subquery that refers to the row outside: messages are fetched for the threads that are found.
SELECT
    t.id,
    t.metadata->>'customer' AS customer,
    (SELECT count(*) FROM openai.assistants.messages AS m WHERE m.thread_id = t.id) AS messages
FROM openai.assistants.threads AS t
WHERE t.id IN ({{ thread }}, {{ other_thread }})
  AND EXISTS (SELECT 1 FROM openai.assistants.runs AS r WHERE r.thread_id = t.id AND r.status = 'completed')
ORDER BY customer;
