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

    public StopSignals() => _registrations =
    [
        Register(PosixSignal.SIGTERM, StopSignal.Stop), Register(PosixSignal.SIGINT, StopSignal.Stop), Register(PosixSignal.SIGHUP, StopSignal.Reload),
    ];

    /// <summary>Done once there is a signal to <see cref="Take"/>; until then that signal stays.</summary>
    public Task ComeAsync() => _come.Reader.WaitToReadAsync().AsTask();

    /// <summary>The oldest signal that has not been taken.</summary>
    /// <exception cref="InvalidOperationException">None has come.</exception>
    public StopSignal Take() => _come.Reader.TryRead(out var signal) ? signal : throw new InvalidOperationException("no signal has come");

    public void Dispose() => Array.ForEach(_registrations, r => r.Dispose());

    private PosixSignalRegistration Register(PosixSignal signal, StopSignal meaning) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        _come.Writer.TryWrite(meaning);
    });
}
