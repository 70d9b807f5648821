-- So that what is too old is found without reading all the rest.
CREATE INDEX request_logs_created ON request_logs (created_at);
