using System.Text;

namespace Hikyaku.Fuzz.Inputs;

/// <summary>Configuration files as people write them, and as they should not.</summary>
internal static class ConfigTexts
{
    private static readonly string[] Texts =
    [
        """
        # an application host
        host: web-1
        state: /tmp/hikyaku-fuzz/state
        mounts:
          apache:
            at: /mnt/apache
            keep: all
            commit: { interval: 10ms }
            quota: 512MiB
            when_full: block
          other: { at: /mnt/other, commit: strict }
        routes:
          - name: "access"
            from: apache
            match: ["access.log", "**/error-*.log"]
            to:
              forward: { servers: [bar.example.com, "[::1]:24224", 10.0.0.1:9000], deliver: random }
          - to: { file: { path: "/var/log/all/{host}/{path}", format: "%H:%F(%P):%f[%T] %L", time: '%F %T(%s %-)' } }

        """,
        """
        receive:
          forward: { listen: 0.0.0.0:24224 }
          commit: process
        routes:
        - from: receive
          to:
            file: { path: all.log, format: "\x41%l\n" }
        - { name: b, from: [receive], to: { forward: { servers: next.example.com } } }

        """,
        """
        mounts: { m: { at: /mnt/m, passthrough: "*.big" } }
        routes:
          - match: "*.log"
            except: ["debug*", 'a\*b']
            mode: message
            allow: ["ERR", { posix: "([[:alpha:]]+)b{1,3}", line: "$1\\&" }, { text: x, line: "&" }]
            deny: { regex: "(?i)token=\\d+" }
            rewrite: [{ regex: "(\\w)-(\\w)", with: "$2" }, { text: a, with: "" }]
            longest: 8KiB
            expire: 48h
            batch: { lines: 100, time: 5s }
            to: { file: { path: /tmp/out } }

        """,
        """
        mounts: &all
          m: { at: relative/dir, quota: 10GiB }
        routes:
          - from: [m]
            to: &out
              forward:
                servers:
                  - one
                  - two:1
          - name: second
            to: *out

        """,
        """
        GLOBAL:
            {
                FILEVERSION:            1,
                DATE:                   "Mon, 02 Jan 2017 00:00:00 +0900",
                DELIVERMODE:            random,
                PORT:                   9000,
                SSL:                    no,
                K2HMASKBIT:             4
            }
        SVRNODE:
            [
                {
                    NAME:               collect[1-3].example.com, # three of them
                    PORT:               9100,
                },
                { NAME: foo[a,b][01-10], PORT: 9101 }
            ]
        SLVNODE: [ { NAME: "[.]*", CTLPORT: 9022 } ]
        K2HFTFUSE:
            {
                K2HTYPE:                mem,
                K2HFTFUSE_RULE_DIR: [ { TARGET: /, TRUNS: off, OUTPUTFILE: /dev/null, DEFAULTALL: ALLOW } ],
                K2HFTFUSE_RULE:
                [
                    { TARGET: access.log, TRUNS: on, OUTPUTFILE: /dev/null, DEFAULTALL: ALLOW },
                ]
            }

        """,
        """
        K2HFTFUSESVR:
            {
                K2HTYPE:        file,
                K2HFILE:        /tmp/test.k2h,
                TYPE:           file,
                FILE_BASEDIR:   "/tmp/fuse",
                FILE_UNIFY:     log/unify.log,
                FILE_TIMEFORM:  "%F %T(%s %-)",
                FORMAT:         "%H:%F(%P):%f[%T] %L"
            }

        """,
    ];

    private static readonly string[] Words =
    [
        "[", "]", "{", "}", ",", ": ", ":", "- ", "? ", "\"", "'", "#", " # ", "&a ", "*a", "*all", "!!str ", "!x ", "|\n", ">\n", "---\n", "...\n",
        "%YAML 1.2\n", "%YAML 9.9999999999\n", "%TAG ! x\n", "<<: ", "\t", "\n", "\r", "\r\n", "\0", "\\0", "\"a\\0b\"", "\u0085", "\u2028", "\ufeff", "\ud83d\ude00",
        "null", "~", "''", "0", "-1", "99999999999999999999", "1e9", "0x10", "1KiB", "0ms", "on", "off", "ALLOW", "/", "//", "/..", "{host}", "{x", "%", "%%", "\\",
        "\\x4", "%Q", "[1-5]", "[5-1]", "[1-99999999]", "[", "[a][b]", ": a[", ": 'a[", "*.log", "**/", "[::1]", "[::1]:0", ":70000", "a:b:c", "receive", "interval",
        "GLOBAL:", "K2HFTFUSE:", "K2HFTFUSESVR:", "SVRNODE:", "mounts:", "routes:", "receive:", "to:", "from:", "at:", "FILE_UNIFY: ", "path: ", "servers: ",
    ];

    public static string Make(Dice dice)
    {
        if (dice.OneIn(60))
            return Encoding.UTF8.GetString(dice.Bytes(dice.Below(200)));
        var text = dice.Pick(Texts);
        for (var times = dice.Below(6); times > 0; times--)
            text = Mutate(text, dice);
        return dice.OneIn(6) ? Encoding.UTF8.GetString(dice.Mutate(Encoding.UTF8.GetBytes(text), 1, 100_000)) : text;
    }

    private static string Mutate(string text, Dice dice)
    {
        if (text.Length == 0)
            return dice.Pick(Words);
        var at = dice.Below(text.Length);
        var end = Math.Min(text.Length, at + 1 + dice.Below(12));
        var lines = text.Split('\n').ToList();
        var line = dice.Below(lines.Count);
        switch (dice.Below(10))
        {
            case 0 or 1:
                return text.Insert(at, dice.Pick(Words));
            case 2:
                return string.Concat(text.AsSpan(0, at), dice.Pick(Words), text.AsSpan(end));
            case 3:
                return text.Remove(at, end - at);
            case 4:
                lines.RemoveAt(line);
                break;
            case 5:
                lines.Insert(dice.Below(lines.Count), lines[line]);
                break;
            case 6:
                lines[line] = dice.OneIn(2) ? new string(' ', dice.Below(9)) + lines[line].TrimStart() : lines[line].TrimEnd() + dice.Pick(Words);
                break;
            case 7:
                // The value of a key, or of what looks like one.
                var colon = lines[line].IndexOf(':', StringComparison.Ordinal);
                if (colon >= 0)
                    lines[line] = lines[line][..(colon + 1)] + " " + dice.Pick(Words) + (dice.OneIn(2) ? dice.Pick(Words) : "");
                break;
            case 8:
                return text.Insert(at, string.Concat(Enumerable.Repeat(dice.Pick(Words), Math.Min(1 << dice.Below(17), 60_000))));
            default:
                (lines[line], lines[0]) = (lines[0], lines[line]);
                break;
        }
        return string.Join('\n', lines);
    }
}
