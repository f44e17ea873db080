using System.Runtime.InteropServices;
using System.Threading.Channels;

namespace Hikyaku.Supervision;

internal enum StopSignal
{
    Stop,
    Reload,
}

/// <summary>SIGTERM and SIGINT as <see cref="StopSignal.Stop"/>, SIGHUP as <see cref="StopSignal.Reload"/>, in the order in which they come.</summary>
internal sealed class StopSignals : IDisposable
{
    private readonly Channel<StopSignal> _come = Channel.CreateUnbounded<StopSignal>();
    private readonly PosixSignalRegistration[] _registrations;
    private Task<StopSignal>? _next;

    public StopSignals() => _registrations =
    [
        Register(PosixSignal.SIGTERM, StopSignal.Stop), Register(PosixSignal.SIGINT, StopSignal.Stop), Register(PosixSignal.SIGHUP, StopSignal.Reload),
    ];

    /// <summary>The next signal. One that nobody has awaited to its end is offered again.</summary>
    public Task<StopSignal> NextAsync() => _next is { IsCompleted: false } ? _next : _next = _come.Reader.ReadAsync().AsTask();

    public void Dispose() => Array.ForEach(_registrations, r => r.Dispose());

    private PosixSignalRegistration Register(PosixSignal signal, StopSignal meaning) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        _come.Writer.TryWrite(meaning);
    });
}
