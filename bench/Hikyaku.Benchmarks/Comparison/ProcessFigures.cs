using System.Globalization;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>What the kernel says about a process: CPU time in microseconds, memory in KiB. What is resident but not its own is mapped: programs, and the log.</summary>
internal readonly record struct ProcessFigures(double Cpu, long Resident, long Own, long Peak)
{
    private const double MicrosecondsPerTick = 10_000; // user space always sees 100 ticks a second

    public static ProcessFigures Of(int pid)
    {
        var status = File.ReadAllLines($"/proc/{pid}/status");
        return new ProcessFigures(Ticks($"/proc/{pid}/stat", 13), Kilobytes(status, "VmRSS:"), Kilobytes(status, "RssAnon:"), Kilobytes(status, "VmHWM:"));
    }

    /// <summary>CPU time of all children of this process that have ended, their children included.</summary>
    public static double EndedChildren() => Ticks("/proc/self/stat", 15);

    /// <summary>The process and everything below it, by what it does there.</summary>
    public static IEnumerable<(string Role, int Pid)> Tree(int root, string name)
    {
        yield return (name, root);
        foreach (var child in Children(root))
        {
            var arguments = File.ReadAllText($"/proc/{child}/cmdline").Split('\0');
            var role = Array.Find(arguments, static a => a.StartsWith("serve-", StringComparison.Ordinal))?["serve-".Length..] ?? "child";
            foreach (var below in Tree(child, name.Split(' ')[0] + " " + role))
                yield return below;
        }
    }

    private static IEnumerable<int> Children(int pid)
    {
        foreach (var thread in Directory.GetDirectories($"/proc/{pid}/task"))
        {
            foreach (var child in File.ReadAllText(thread + "/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
                yield return int.Parse(child, CultureInfo.InvariantCulture);
        }
    }

    // Two neighbouring fields: time in user space and in the kernel. The second field is a name that may hold blanks.
    private static double Ticks(string stat, int field)
    {
        var text = File.ReadAllText(stat);
        var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        return (long.Parse(fields[field - 2], CultureInfo.InvariantCulture) + long.Parse(fields[field - 1], CultureInfo.InvariantCulture)) * MicrosecondsPerTick;
    }

    private static long Kilobytes(string[] status, string key)
    {
        var line = Array.Find(status, l => l.StartsWith(key, StringComparison.Ordinal)) ?? "0 0";
        return long.Parse(line.Split(' ', '\t', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}
