using Hikyaku.Fuse;

namespace Hikyaku.Tests.Fuse;

/// <summary>A real mount in a new directory, served by a thread of the test; gone with the object, whatever happened.</summary>
internal sealed class LiveMount : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly Task<FuseReadResult> _served;

    public LiveMount(FileSystem system, Func<string, FuseDevice>? mount = null)
    {
        Path = Directory.CreateTempSubdirectory("hikyaku test ").FullName;
        Device = mount is null ? FuseMount.Mount(Path, "test, a") : mount(Path);
        try
        {
            Negotiation = FuseNegotiation.Answer(Device);
        }
        catch
        {
            FuseMount.UnmountLazily(Path);
            throw;
        }
        var session = new FuseSession(Device, Negotiation, system);
        _served = Task.Factory.StartNew(() =>
        {
            using (session)
                return session.Run();
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    public string Path { get; }

    public FuseDevice Device { get; }

    public FuseNegotiation Negotiation { get; }

    /// <summary>Runs what may wait for the mount on a thread that can be left behind.</summary>
    public static T Within<T>(Func<T> work)
    {
        var task = Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        return task.WaitAsync(Patience).GetAwaiter().GetResult();
    }

    /// <summary>How serving ended, waited for.</summary>
    public FuseReadResult Ended() => _served.WaitAsync(Patience).GetAwaiter().GetResult();

    public void Dispose()
    {
        try
        {
            if (MountTable.Find(Path) is { IsFuse: true })
                FuseMount.UnmountLazily(Path);
            _served.Wait(Patience);
        }
        finally
        {
            Device.Dispose();
            Directory.Delete(Path);
        }
    }
}
