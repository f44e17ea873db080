using System.Globalization;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>What /proc knows.</summary>
internal static class ProcessTable
{
    /// <summary>The children of a process, without those that have ended and wait to be collected.</summary>
    public static IEnumerable<int> Children(int parent) => Living().Where(p => p.Parent == parent).Select(p => p.Pid);

    /// <summary>The processes with this text in their command line.</summary>
    public static IEnumerable<int> Naming(string text) => Living().Select(p => p.Pid).Where(pid => CommandLine(pid).Contains(text, StringComparison.Ordinal));

    public static bool IsAlive(int pid) => Look(pid).State is not 'Z' and not 'X';

    public static string CommandLine(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline").Replace('\0', ' ').TrimEnd();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private static IEnumerable<(int Pid, int Parent)> Living()
    {
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var pid))
                continue;
            var (state, parent) = Look(pid);
            if (state is not 'Z' and not 'X')
                yield return (pid, parent);
        }
    }

    private static (char State, int Parent) Look(int pid)
    {
        try
        {
            // The name may hold blanks and brackets: the last bracket ends it.
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return (fields[0][0], int.Parse(fields[1], CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return ('X', 0);
        }
    }
}
