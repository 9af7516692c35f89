SET LOCAL lock_timeout = '2s';

-- Media that have each of the words: whole, or by its English or Finnish stem. The last one, which may not be typed to its end, is also
-- found as the beginning of a word, and so is one that ends with a star. The beginning of a common word takes a look at all media that have
-- it. The words have letters and digits only.
CREATE OR REPLACE FUNCTION media_query(words text[]) RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    last integer := cardinality(words);
    word text;
    whole tsquery;
    part tsquery;
BEGIN
    FOR place IN 1..last LOOP
        word := rtrim(words[place], '*');
        part := (quote_literal(word) || CASE WHEN place = last OR word <> words[place] THEN ':*' ELSE '' END)::tsquery
            || plainto_tsquery('english', word) || plainto_tsquery('finnish', word);
        whole := CASE WHEN whole IS NULL THEN part ELSE whole && part END;
    END LOOP;
    RETURN whole;
END
$$;
