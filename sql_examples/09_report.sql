-- A report: who speaks how often in which thread, threads as rows and roles as columns.
-- Everything behind the fetched rows is DuckDB's SQL: PIVOT, GROUP BY ROLLUP, list functions and so on.
FROM (
    PIVOT (
        SELECT thread_id, role
        FROM openai.assistants.messages
        WHERE thread_id IN ({{ thread }}, {{ other_thread }})
    )
    ON role USING count(*)
)
ORDER BY thread_id;
