using System.Collections.Concurrent;
using Hikyaku.Log;
using Hikyaku.Transfer;
using Xunit;

namespace Hikyaku.Tests.Transfer;

/// <summary>A line of which the log has let the beginning go stands in the journal alone until its end comes.</summary>
public sealed class UnfinishedLineTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _root = Directory.CreateTempSubdirectory("hikyaku-unfinished-").FullName;
    private readonly ConcurrentQueue<string> _reports = new();
    private readonly int _port = FreePort.Next();
    private readonly int _bell = WrittenLog.MakeBell();

    private string Cursors => Path.Combine(_root, "agent", "cursors", "web");

    private string OutputPath => Path.Combine(_root, "out.log");

    [Fact]
    public async Task A_line_whose_first_half_the_log_has_let_go_outlives_a_loss_of_power()
    {
        await using var collector = new RunningTransfer(new TransferSettings
        {
            Host = "collector",
            StateDirectory = Path.Combine(_root, "collector"),
            Receive = new ReceiveSettings($"127.0.0.1:{_port}"),
            Routes = [new RouteSettings("all") { File = new FileOutputSettings(OutputPath) { Format = "%L" } }],
            Report = _reports.Enqueue,
        });
        var disk = new PoweredDisk();
        using (var log = Mount(disk))
        {
            await using (Agent(disk))
            {
                log.Write("a", 1, "first half, ");
                for (var i = 0; log.Log.FirstSequence == 1; i++)
                {
                    log.Write("b", 2, $"{i} {new string('x', 8000)}\n");
                    await Until(() => Count("x\n") == i + 1);
                    log.Log.Retire();
                }
            }

            log.Write("a", 1, "second half\n");
            log.Log.Commit();
        }

        disk.LosePower();
        var rebooted = new PoweredDisk();
        using var again = Mount(rebooted);
        await using var agent = Agent(rebooted);
        await Until(() => Count("second half\n") == 1);

        Assert.Equal(1, Count("first half, second half\n"));
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private int Count(string text) => File.Exists(OutputPath) ? File.ReadAllText(OutputPath).Split(text).Length - 1 : 0;

    private WrittenLog Mount(Disk disk) => new(_bell, Path.Combine(_root, "agent", "logs", "web"),
        new LogOptions { SegmentBytes = 64 << 10, CursorDirectory = Cursors, Cursors = ["route-forward"], Disk = disk });

    private RunningTransfer Agent(Disk disk) => new(new TransferSettings
    {
        Host = "agent",
        StateDirectory = Path.Combine(_root, "agent"),
        Mounts = [new MountLog("web", _bell, CommitLevel.Interval)],
        Routes = [new RouteSettings("route") { Forward = new ForwardOutputSettings([$"127.0.0.1:{_port}"]) }],
        Report = _reports.Enqueue,
        Disk = disk,
    });

    private async Task Until(Func<bool> condition)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience, $"waited {Patience.TotalSeconds} s in vain; reports: {string.Join(" | ", _reports)}");
            await Task.Delay(2);
        }
    }
}
