-- For a service whose database is the Supabase project's own: each user of `auth.users` has a row in `account` from the first
-- moment on, where the service itself makes one when it sees the user's first token. A deleted user's account is closed: its media
-- stay, and the sessions, keys, invites and shares end, as when an admin of the service deletes it.
--
-- Apply it after the service has started once (`supabase db push`, or the SQL editor): the service makes its tables then.

CREATE FUNCTION public.create_account_of_user() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    wanted text := left(coalesce(nullif(new.email, ''), nullif(new.phone, '')), 64);
BEGIN
    -- The service decides whether anonymous users may come in.
    IF new.is_anonymous THEN
        RETURN new;
    END IF;
    IF wanted IS NULL OR wanted !~ '^[!-~]+$'
       OR EXISTS (SELECT FROM public.account WHERE lower(username) = lower(wanted)) THEN
        wanted := new.id::text;
    END IF;
    INSERT INTO public.account (id, username, password_hash) VALUES (new.id, wanted, '') ON CONFLICT DO NOTHING;
    RETURN new;
END $$;

CREATE FUNCTION public.close_account_of_user() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    UPDATE public.account SET closed_at = now(), username = 'deleted ' || id, password_hash = '', role = 'member', bootstrap = false
    WHERE id = old.id AND closed_at IS NULL;
    DELETE FROM public.session WHERE account = old.id;
    DELETE FROM public.api_key WHERE account = old.id;
    DELETE FROM public.invite WHERE created_by = old.id;
    DELETE FROM public.share WHERE account = old.id;
    RETURN old;
END $$;

-- Only the triggers call these: functions in `public` are offered by Supabase's API otherwise.
REVOKE EXECUTE ON FUNCTION public.create_account_of_user(), public.close_account_of_user() FROM PUBLIC;

CREATE TRIGGER create_account AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.create_account_of_user();
CREATE TRIGGER close_account AFTER DELETE ON auth.users FOR EACH ROW EXECUTE FUNCTION public.close_account_of_user();
