using System.Net;
using System.Net.Sockets;
using Hikyaku.Commands;
using Hikyaku.Config;
using Hikyaku.Supervision;
using Hikyaku.Tests.Config;
using Xunit;

namespace Hikyaku.Tests.Supervision;

/// <summary>Signals go to this very process; while one of these tests runs, they end nothing.</summary>
public sealed class SignalTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _state = Directory.CreateTempSubdirectory("hikyaku-signal").FullName;

    [Fact]
    public async Task A_signal_stays_until_it_is_taken()
    {
        using var signals = new StopSignals();
        _ = Libc.Kill(Environment.ProcessId, Libc.SIGHUP);
        await signals.ComeAsync().WaitAsync(Patience);
        _ = Libc.Kill(Environment.ProcessId, Libc.SIGTERM);
        await signals.ComeAsync().WaitAsync(Patience);
        Assert.Equal(StopSignal.Reload, signals.Take());
        await signals.ComeAsync().WaitAsync(Patience);
        Assert.Equal(StopSignal.Stop, signals.Take());
    }

    [Fact]
    public async Task A_transfer_that_never_works_does_not_keep_its_supervisor_from_stopping()
    {
        using var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var port = ((IPEndPoint)free.LocalEndpoint).Port;
        free.Stop();
        var settings = ConfigurationText.Load($"state: {_state}\nreceive: {{ forward: {{ listen: '127.0.0.1:{port}' }} }}\nroutes: [ {{ to: {{ file: {{ path: /dev/null }} }} }} ]");
        // It dies of this before it is ready, every time.
        File.WriteAllText(Path.Join(_state, "logs"), "");
        File.WriteAllText(InstancePaths.Accepted(_state), settings.Text);
        using var hold = StateLock.Take(_state);
        using var signals = new StopSignals();
        var run = new Supervisor(settings, null, signals, hold.Descriptor).RunAsync(null);
        _ = Libc.Kill(Environment.ProcessId, Libc.SIGTERM);
        Assert.Equal(ExitCode.Ok, await run.WaitAsync(Patience));
    }

    [Fact]
    public void A_configuration_that_cannot_be_stored_changes_nothing()
    {
        var file = Path.Join(_state, "c.yaml");
        File.WriteAllText(file, $"state: {_state}\nreceive: {{ forward: {{}} }}\nroutes: [ {{ to: {{ file: {{ path: /x }} }} }} ]");
        var running = ConfigurationFile.Load(file);
        Assert.NotNull(Instance.Reload(running, null));
        var accepted = File.ReadAllText(InstancePaths.Accepted(_state));
        Assert.Equal(running.Text, accepted);
        File.AppendAllText(file, "\n# changed");
        Directory.CreateDirectory(InstancePaths.Accepted(_state) + ".new");
        Assert.Null(Instance.Reload(running, null));
        Assert.Equal(accepted, File.ReadAllText(InstancePaths.Accepted(_state)));
    }

    public void Dispose() => Directory.Delete(_state, recursive: true);
}
