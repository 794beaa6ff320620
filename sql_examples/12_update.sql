-- UPDATE by key sends one request. Metadata is replaced as a whole, as the API does it.
UPDATE openai.assistants.threads
SET metadata = '{"team": "support", "customer": "ada", "state": "closed"}'
WHERE thread_id = {{ thread }}
RETURNING id, metadata;

-- With any other WHERE the rows are read first, and then those that match are changed, one request each.
-- New values may be computed from the old ones.
UPDATE openai.assistants.threads
SET metadata = json_merge_patch(metadata, '{"state": "escalated"}')
WHERE thread_id IN ({{ thread }}, {{ other_thread }}) AND metadata->>'team' = 'sales'
RETURNING id, metadata;
