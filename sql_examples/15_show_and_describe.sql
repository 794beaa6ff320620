-- What exists. Nothing is sent.
SHOW PROVIDERS;

SHOW SERVICES IN openai;

SHOW EXTENDED RESOURCES IN openai.assistants;

SHOW METHODS IN openai.assistants.threads;

SHOW METHODS IN openai.assistants.runs WHERE SQLVerb = 'EXEC';

DESCRIBE EXTENDED openai.assistants.threads;

DESCRIBE METHOD openai.assistants.messages.modify_message;
