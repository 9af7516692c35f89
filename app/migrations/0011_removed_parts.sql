SET LOCAL lock_timeout = '2s';

-- The store's name of an upload in parts whose media is deleted: its parts are removed with its objects.
ALTER TABLE removal ADD COLUMN multipart text;

CREATE OR REPLACE FUNCTION presigned_upload_removal() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO removal (file, writable_until, multipart)
    VALUES (OLD.media, OLD.expires_at + interval '1 hour', OLD.multipart)
    ON CONFLICT (file) DO UPDATE
    SET writable_until = EXCLUDED.writable_until, multipart = EXCLUDED.multipart;
    RETURN NULL;
END
$$;
