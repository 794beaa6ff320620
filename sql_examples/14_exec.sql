-- EXEC calls a method that is none of SELECT, INSERT, UPDATE and DELETE.
-- Arguments are @name=value; @@json holds further members of the body and comes last, without a comma before it.
EXEC openai.assistants.runs.submit_tool_outputs @thread_id={{ waiting_thread }}, @run_id={{ waiting_run }}
@@json='{"tool_outputs": [{"tool_call_id": "{{ call }}", "output": "It arrives on Friday."}]}';

SELECT id, status
FROM openai.assistants.runs
WHERE thread_id = {{ waiting_thread }} AND run_id = {{ waiting_run }};
