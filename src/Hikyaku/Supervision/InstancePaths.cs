using Hikyaku.Config;
using Hikyaku.Transfer;

namespace Hikyaku.Supervision;

/// <summary>Where things lie in a state directory, and what pumps are called.</summary>
internal static class InstancePaths
{
    /// <summary>Makes what several processes share; each makes the rest for itself.</summary>
    public static void Create(string state)
    {
        foreach (var folder in new[] { "logs", "cursors", "mounts", "doorbells", "status" })
            Directory.CreateDirectory(Path.Join(state, folder), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    public static string Log(string state, string log) => Path.Join(state, "logs", log);

    public static string Cursors(string state, string log) => Path.Join(state, "cursors", log);

    public static string Mount(string state, string mount) => Path.Join(state, "mounts", mount);

    public static string Doorbell(string state, string log) => Path.Join(state, "doorbells", log);

    public static string Status(string state) => Path.Join(state, "status");

    /// <summary>The configuration as it was when it was last found good; children read this one, not a file that is being edited.</summary>
    public static string Accepted(string state) => Path.Join(state, "accepted.yaml");

    public static string DaemonJournal(string state) => Path.Join(state, "run.log");

    /// <summary>The pumps that read one log.</summary>
    public static IReadOnlyList<string> Pumps(Settings settings, string log) => TransferProcess.Cursors(TransferChild.Routes(settings, [log]), log);
}
