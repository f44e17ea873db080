using Hikyaku.Config;

namespace Hikyaku.Commands;

/// <summary>What stands behind <c>-o</c>: where the configuration is, and options of mount(8), libfuse and K2HFTFUSE.</summary>
/// <param name="File">The configuration file; null when <paramref name="Json"/> is the configuration itself.</param>
/// <param name="NoExec">No program may be started from the mount.</param>
/// <param name="Notices">Options that have no meaning here.</param>
internal sealed record MountOptionList(string? File, string? Json, bool NoExec, IReadOnlyList<string> Notices)
{
    private const string FileVariable = "K2HFTCONFFILE", JsonVariable = "K2HFTJSONCONF";
    private const string JsonOption = "json=";

    // Options of mount(8) and of FUSE programs that ask for what is so anyway, or that mean nothing here.
    private static readonly string[] Accepted =
    [
        "rw", "dev", "nodev", "suid", "nosuid", "atime", "noatime", "relatime", "norelatime", "strictatime", "diratime", "nodiratime",
        "async", "defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "_netdev", "nofail", "allow_other", "allow_root", "nonempty",
        "default_permissions", "big_writes", "direct_io", "intr", "nointr", "disable_run_chmpx",
    ];
    private static readonly string[] AcceptedWithValue = ["fsname", "subtype", "comment", "max_read", "max_write"];

    // K2HFTFUSE's own, and why they do nothing.
    private static readonly (string Name, string Why)[] Meaningless =
    [
        ("enable_run_chmpx", "there is no CHMPX process"), ("chmpxlog", "there is no CHMPX process"), ("dbglevel", "what matters is always in the journal"),
        ("umask", "owners and modes are those of the files"), ("uid", "owners and modes are those of the files"), ("gid", "owners and modes are those of the files"),
    ];

    /// <summary>Reads option lists; without one of them the environment says where the configuration is.</summary>
    /// <exception cref="CommandException">An option is unknown or cannot be had, or nothing says where the configuration is.</exception>
    public static MountOptionList Read(IEnumerable<string> lists)
    {
        string? file = null, json = null;
        var noExec = false;
        var notices = new List<string>();
        foreach (var option in lists.SelectMany(Split))
        {
            var (name, value) = option.IndexOf('=', StringComparison.Ordinal) is >= 0 and var equals ? (option[..equals], option[(equals + 1)..]) : (option, null);
            if (name is "conf" && value is { Length: > 0 })
                file = value;
            else if (name is "json" && value is { Length: > 0 })
                json = value;
            else if (name is "exec" or "noexec" && value is null)
                noExec = name is "noexec";
            else if (name is "ro")
                throw new CommandException(ExitCode.Usage, "-o ro is not supported: what cannot be written cannot be carried");
            else if (Array.Find(Meaningless, m => m.Name == name) is { Why: { } why })
                notices.Add($"mount option {name} has no meaning here: {why}");
            else if (!(value is null ? Accepted : AcceptedWithValue).Contains(name, StringComparer.Ordinal) && !name.StartsWith("x-", StringComparison.Ordinal))
                throw new CommandException(ExitCode.Usage, $"unknown mount option '{option}'"
                    + (Nearest.To(name, [.. Accepted, .. AcceptedWithValue, "conf", "json", "exec", "noexec"]) is { } near ? $"; did you mean '{near}'?" : "; hikyaku's own one is conf=FILE"));
        }
        if (file is not null && json is not null)
            throw new CommandException(ExitCode.Usage, "-o conf and -o json exclude each other");
        if (file is null && json is null)
            (file, json) = JsonText.FromEnvironment(FileVariable, JsonVariable)
                ?? throw new CommandException(ExitCode.Usage, $"no configuration: give -o conf=FILE or -o json=TEXT (or set {FileVariable} or {JsonVariable})");
        return new MountOptionList(file, json, noExec, notices);
    }

    // Commas part options, but not those inside of json={...}.
    private static IEnumerable<string> Split(string list)
    {
        for (var rest = list; rest is not "";)
        {
            var end = rest.StartsWith(JsonOption, StringComparison.Ordinal) ? JsonText.EndOf(rest, JsonOption.Length) : 0;
            end = rest.IndexOf(',', end) is >= 0 and var comma ? comma : rest.Length;
            if (rest[..end].Trim() is not "" and var option)
                yield return option;
            rest = rest[Math.Min(end + 1, rest.Length)..];
        }
    }
}
