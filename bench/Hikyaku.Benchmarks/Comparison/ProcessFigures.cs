using System.Globalization;
using System.Runtime.InteropServices;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>What the kernel says about a process: CPU time in microseconds, memory in KiB. What is resident but not its own is mapped: programs, and the log.</summary>
internal readonly partial record struct ProcessFigures(double Cpu, long Resident, long Own, long Peak)
{
    private const double MicrosecondsPerTick = 10_000; // user space always sees 100 ticks a second

    /// <summary>All zero if there is no such process any more.</summary>
    public static ProcessFigures Of(int pid)
    {
        try
        {
            var status = File.ReadAllLines($"/proc/{pid}/status");
            return new ProcessFigures(CpuOf(pid), Kilobytes(status, "VmRSS:"), Kilobytes(status, "RssAnon:"), Kilobytes(status, "VmHWM:"));
        }
        catch (IOException)
        {
            return default;
        }
    }

    /// <summary>Of all processes of a role together.</summary>
    public static Dictionary<string, ProcessFigures> Of(MeasuredSystem system)
    {
        var figures = new Dictionary<string, ProcessFigures>(StringComparer.Ordinal);
        foreach (var (role, pid) in system.Processes)
        {
            var (one, sum) = (Of(pid), figures.GetValueOrDefault(role));
            figures[role] = new ProcessFigures(sum.Cpu + one.Cpu, sum.Resident + one.Resident, sum.Own + one.Own, sum.Peak + one.Peak);
        }

        return figures;
    }

    /// <summary>Its share of what it has in common with others counted in parts, KiB. Costs the process a little: its map is locked meanwhile.</summary>
    public static long Proportional(int pid)
    {
        try
        {
            return Kilobytes(File.ReadAllLines($"/proc/{pid}/smaps_rollup"), "Pss:");
        }
        catch (IOException)
        {
            return 0;
        }
    }

    /// <summary>From now on the peak is that of what follows.</summary>
    public static void ForgetPeaks(MeasuredSystem system)
    {
        foreach (var (_, pid) in system.Processes)
            File.WriteAllText($"/proc/{pid}/clear_refs", "5");
    }

    /// <summary>CPU time of the whole machine and all its kernel threads.</summary>
    public static double Machine()
    {
        var ticks = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..].Select(static f => long.Parse(f, CultureInfo.InvariantCulture)).ToArray();
        // user, nice, system, idle, iowait, irq, softirq: all but the waiting.
        return (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) * MicrosecondsPerTick;
    }

    /// <summary>CPU time of this process.</summary>
    public static double Here() => CpuOf(Environment.ProcessId);

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

    private static List<int> Children(int pid)
    {
        try
        {
            return [.. from thread in Directory.GetDirectories($"/proc/{pid}/task")
                       from child in File.ReadAllText(thread + "/children").Split(' ', StringSplitOptions.RemoveEmptyEntries)
                       select int.Parse(child, CultureInfo.InvariantCulture)];
        }
        catch (IOException)
        {
            return [];
        }
    }

    // The clock of a process counts in nanoseconds what stat counts in ticks.
    private static unsafe double CpuOf(int pid)
    {
        var time = stackalloc long[2];
        return ReadClock((~pid << 3) | 2, time) == 0 ? time[0] * 1e6 + time[1] / 1e3 : 0;
    }

    private static long Kilobytes(string[] lines, string key)
    {
        var line = Array.Find(lines, l => l.StartsWith(key, StringComparison.Ordinal)) ?? "0 0";
        return long.Parse(line.Split(' ', '\t', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static unsafe partial int ReadClock(int clock, long* time);
}
