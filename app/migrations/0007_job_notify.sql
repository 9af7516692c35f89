SET LOCAL lock_timeout = '2s';

-- Tells every worker of a job that is due when the transaction is committed, whichever process and release adds it.
CREATE FUNCTION job_notify() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('job', NEW.kind);
    RETURN NULL;
END
$$;

CREATE TRIGGER job_notify AFTER INSERT OR UPDATE OF due_at ON job
    FOR EACH ROW WHEN (NEW.due_at <= now() AND NOT NEW.quarantined) EXECUTE FUNCTION job_notify();
