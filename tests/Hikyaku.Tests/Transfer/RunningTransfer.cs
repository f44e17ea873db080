using Hikyaku.Transfer;

namespace Hikyaku.Tests.Transfer;

/// <summary>A transfer process until it is disposed of.</summary>
internal sealed class RunningTransfer : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _run;

    public RunningTransfer(TransferSettings settings)
    {
        Process = new TransferProcess(settings);
        _run = Process.RunAsync(_stop.Token);
    }

    public TransferProcess Process { get; }

    public async ValueTask DisposeAsync()
    {
        if (_stop.IsCancellationRequested)
            return;
        await _stop.CancelAsync();
        await _run;
    }
}
