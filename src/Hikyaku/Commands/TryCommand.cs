using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Hikyaku.Config;
using Hikyaku.Fuse;
using Hikyaku.Supervision;

namespace Hikyaku.Commands;

/// <summary>
/// <c>hikyaku try</c>: a mount and a collecting node on this machine, two real instances that speak Forward over loopback, in a
/// folder of their own that is gone afterwards.
/// </summary>
internal static class TryCommand
{
    private const int OnceLines = 5;

    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan LinePatience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan DoubtPatience = TimeSpan.FromMilliseconds(300);

    public static Command Create()
    {
        var once = new Option<bool>("--once") { Description = "Write a few lines, wait for them, and end: 0 only if each arrived exactly once." };
        var folder = new Option<string>("--folder") { Description = "The folder to use; removed at the end.", DefaultValueFactory = _ => "hikyaku-try", HelpName = "DIR" };
        var command = new Command("try", "Show on this machine how lines written below a directory arrive elsewhere.") { once, folder };
        command.SetAction(parsed => CommandLine.Guard(() => Run(Path.GetFullPath(parsed.GetRequiredValue(folder)), parsed.GetValue(once)).GetAwaiter().GetResult()));
        return command;
    }

    private static async Task<int> Run(string folder, bool once)
    {
        using var signals = new StopSignals();
        var place = new TryFolder(folder);
        place.Create(FreePort());
        try
        {
            using var collector = new TryNode(place.CollectorFile);
            using var mount = new TryNode(place.MountFile);
            try
            {
                foreach (var node in new[] { collector, mount })
                    if (await node.RunningAsync(StartPatience) is { } code)
                        return Complain(node, code);
                using var arrivals = new TryArrivals(place.Output);
                return once ? Once(place, arrivals) : await LiveAsync(place, arrivals, signals);
            }
            finally
            {
                // The mount first, so that its last lines still find the collector.
                await mount.StopAsync();
                await collector.StopAsync();
            }
        }
        finally
        {
            place.Remove();
        }
    }

    private static int Complain(TryNode node, int code)
    {
        Console.Error.WriteLine("hikyaku: this machine cannot do it:");
        foreach (var line in node.Said)
            Console.Error.WriteLine(line);
        return code is ExitCode.Ok ? ExitCode.Failed : code;
    }

    private static int Once(TryFolder place, TryArrivals arrivals)
    {
        var file = Path.Join(place.MountPoint, "hello.log");
        var written = new List<string>();
        for (var i = 1; i <= OnceLines; i++)
        {
            written.Add($"line {i} of {OnceLines}, written by a shell");
            Shell($"echo '{written[^1]}' >> '{file}'");
            if (arrivals.Next(LinePatience) is not { } arrived)
            {
                Console.Error.WriteLine($"hikyaku: line {i} did not arrive within {LinePatience.TotalSeconds:0} s");
                return ExitCode.Failed;
            }
            Console.WriteLine(arrived);
        }
        var more = arrivals.Next(DoubtPatience);
        var exactly = more is null && arrivals.Lines.SequenceEqual(written, StringComparer.Ordinal);
        Console.WriteLine(exactly ? $"{OnceLines} lines written, {OnceLines} arrived, each exactly once" : $"{OnceLines} lines written, {arrivals.Lines.Count} arrived: not each exactly once");
        return exactly ? ExitCode.Ok : ExitCode.Failed;
    }

    private static async Task<int> LiveAsync(TryFolder place, TryArrivals arrivals, StopSignals signals)
    {
        Console.WriteLine($"Write to any file below  {place.MountPoint}/");
        Console.WriteLine($"   for example           echo hello >> {place.MountPoint}/hello.log");
        Console.WriteLine($"Every line arrives in    {place.Output}");
        Console.WriteLine("Ctrl-C ends it and removes everything. Lines as they arrive, with the time from write(2) to the file:");
        var end = signals.ComeAsync();
        while (!end.IsCompleted)
        {
            // Also a hang-up of the terminal ends it.
            if (await Task.Run(() => arrivals.Next(TimeSpan.FromMilliseconds(200))) is { } arrived)
                Console.WriteLine(arrived);
        }
        Console.WriteLine("\nunmounting and cleaning up");
        return ExitCode.Ok;
    }

    private static void Shell(string command)
    {
        using var shell = System.Diagnostics.Process.Start("/bin/sh", ["-c", command]);
        shell.WaitForExit();
        if (shell.ExitCode is not 0)
            throw new CommandException(ExitCode.Failed, $"the shell could not write: {command}");
    }

    private static int FreePort()
    {
        using var socket = new TcpListener(IPAddress.Loopback, 0);
        socket.Start();
        return ((IPEndPoint)socket.LocalEndpoint).Port;
    }
}
