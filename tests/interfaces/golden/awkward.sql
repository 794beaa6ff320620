-- One row set of awkward types; golden bytes of each format stand beside this file.
SET TimeZone = 'Europe/Berlin';
SELECT * FROM (VALUES
    (
        1, NULL, NULL::BIGINT, NULL::BOOLEAN, NULL::DOUBLE, NULL::DECIMAL(38, 10), NULL::TIMESTAMPTZ, NULL::DATE,
        NULL::JSON, NULL::INTEGER[], NULL::STRUCT(a JSON, "b, c" VARCHAR), NULL::BLOB, NULL::INTERVAL,
        NULL::MAP(VARCHAR, JSON)
    ),
    (
        2, '', 0, false, 0.0, 0, '1969-12-31 23:59:59.5+00', '0001-01-01',
        'null', [], {'a': '{}', 'b, c': ''}, '', INTERVAL 0 SECONDS, MAP {}
    ),
    (
        3, 'a "quoted", b', 9007199254740993, true, 'nan'::DOUBLE, 12345678901234567890.0123456789,
        '2026-03-29 00:59:59+00', '2026-11-30',
        '{"id": 9007199254740993, "pi": 3.14159265358979323846, "s": "a\nb"}', [1, NULL, -3],
        {'a': '[1, 2]', 'b, c': 'x'}, '\x00\xFFab''\x5C'::BLOB, INTERVAL '-3 days -4 hours', MAP {'k': '"v"'}
    ),
    (
        4, 'line
break	tab', -9223372036854775808, NULL, 'inf'::DOUBLE, -0.0000000001, '2026-03-29 01:00:00+00', '9999-12-31',
        '"text"', [2147483647], {'a': NULL, 'b, c': NULL}, 'abc', INTERVAL '1.5 seconds', MAP {'"': 'true'}
    ),
    (
        5, 'naïve 日本 👩‍👩‍👧 🇩🇪 e' || chr(769) || ' | `x` *y* _z_ <b> & [l](u) \', 1, true, 1e300, 1.5,
        '2026-11-22 10:00:00.123456+00', '2026-01-02',
        '{"bad": NaN}', [0], {'a': '1', 'b, c': 'NULL'}, NULL, NULL, NULL
    ),
    (
        6, 'esc ' || chr(27) || '[31mred' || chr(27) || '[0m bel' || chr(7) || ' nul' || chr(0) || ' c1' || chr(155)
        || ' cr' || chr(13) || ' bidi' || chr(8238) || ' ls' || chr(8232), 1, true, -0.1, 1, '2026-11-22 10:00:00+00',
        '2026-01-02', '"\u001b[31m' || chr(155) || chr(8238) || '"', [0], NULL, NULL, NULL, NULL
    ),
    (7, 'NULL', 1, true, 3, 1, '2026-11-22 10:00:00+00', '2026-01-02', '
{
  "pretty": [1,
             2]
}', [0], NULL, NULL, NULL, NULL)
) AS t("n", "te xt", "big", "flag", "num", "exact", "at", "day", "js", "list", "row|", "raw", "span", "n");
