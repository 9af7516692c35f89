SET LOCAL lock_timeout = '2s';

-- Media of which no file was received have `listed_at` = 'epoch', and are in no list.

-- Media whose client has the URL to put the file at, until the file is accepted or the media is deleted. The object at that URL,
-- `uploads/` and the id, is never served: the worker stores what it has validated under another id.
CREATE TABLE presigned_upload (
    media      text COLLATE "C" PRIMARY KEY REFERENCES media (id) ON DELETE CASCADE,
    account    uuid NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    -- Of the file, in bytes, if the client has said.
    length     bigint CHECK (length > 0),
    -- The store's name of the upload, as long as it is in parts.
    multipart  text,
    -- Of the URL, or of the whole upload if it is in parts.
    expires_at timestamptz NOT NULL,
    -- When the worker looks next whether there is a file that no client and no event has told of.
    look_at    timestamptz NOT NULL
);

CREATE INDEX presigned_upload_account ON presigned_upload (account);
CREATE INDEX presigned_upload_look_at ON presigned_upload (look_at);

-- Until then a client can still put the object. It is removed at once, and once more when this time is over.
ALTER TABLE removal ADD COLUMN writable_until timestamptz;

-- A request that begins before the URL expires may be slow.
CREATE FUNCTION presigned_upload_removal() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO removal (file, writable_until) VALUES (OLD.media, OLD.expires_at + interval '1 hour')
    ON CONFLICT (file) DO UPDATE SET writable_until = EXCLUDED.writable_until;
    RETURN NULL;
END
$$;

CREATE TRIGGER presigned_upload_removal AFTER DELETE ON presigned_upload
    FOR EACH ROW EXECUTE FUNCTION presigned_upload_removal();
