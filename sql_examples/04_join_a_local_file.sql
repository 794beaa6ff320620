-- A local file beside resources: tickets.csv has the columns ticket, thread_id and opened,
-- and its thread_id column says which threads to fetch messages of.
-- Run it with: apiql query -f sql_examples/04_join_a_local_file.sql -p tickets=./tickets.csv
SELECT t.ticket, t.opened, count(*) AS messages, max(m.created_at) AS latest
FROM {{ tickets }} AS t
JOIN openai.assistants.messages AS m ON m.thread_id = t.thread_id
GROUP BY ALL
ORDER BY t.ticket;
