using System.Text.Json;
using Hikyaku.Log;
using Hikyaku.Supervision;
using Hikyaku.Transfer;

namespace Hikyaku.Status;

/// <summary>An instance as a whole: what its processes say, and what lies between them.</summary>
internal sealed record InstanceStatus
{
    public required string State { get; init; }

    /// <summary>The process that holds the state directory; null when the instance is not running.</summary>
    public required int? Process { get; init; }

    public required IReadOnlyList<ProcessState> Processes { get; init; }
    public required IReadOnlyList<MountStatus> Mounts { get; init; }
    public required IReadOnlyList<RouteStatus> Routes { get; init; }
    public IntakeStatus? Receive { get; init; }

    /// <inheritdoc cref="TransferStatus.AbandonedCursors"/>
    public IReadOnlyList<string> AbandonedCursors { get; init; } = [];

    /// <summary>Puts together what lies in a state directory.</summary>
    public static InstanceStatus Read(string state)
    {
        var processes = new List<(string Name, ProcessStatus Status)>();
        if (Directory.Exists(InstancePaths.Status(state)))
            foreach (var file in Directory.GetFiles(InstancePaths.Status(state), "*.json").Order(StringComparer.Ordinal))
                if (ReadFile(file) is { } status)
                    processes.Add((Path.GetFileNameWithoutExtension(file), status));
        var transfer = processes.Select(p => p.Status.Transfer).FirstOrDefault(t => t is not null);
        return new InstanceStatus
        {
            State = state,
            Process = StateLock.Holder(state),
            Processes = [.. processes.Select(p => new ProcessState(p.Name, p.Status.Process, Directory.Exists($"/proc/{p.Status.Process}"), p.Status.Written))],
            Mounts = [.. processes.Select(p => p.Status.Mount).OfType<MountStatus>()],
            Routes = [.. transfer?.Pumps.Select(p => new RouteStatus(p, Queue(state, p))) ?? []],
            Receive = transfer?.Receive,
            AbandonedCursors = transfer?.AbandonedCursors ?? [],
        };
    }

    // The cursor's own file is newer than what the process said a second ago.
    private static QueueStatus? Queue(string state, PumpStatus pump) =>
        QueueStatus.Of(state, pump.Log, Cursor.TryRead(Path.Join(InstancePaths.Cursors(state, pump.Log), pump.Name + ".cursor"), out var saved) ? Math.Max(saved, pump.Cursor) : pump.Cursor);

    private static ProcessStatus? ReadFile(string file)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(file), StatusJson.Default.ProcessStatus);
        }
        catch (Exception e) when (e is JsonException or IOException)
        {
            return null;
        }
    }
}

/// <param name="Written">When its status last changed.</param>
internal sealed record ProcessState(string Name, int Process, bool Running, DateTimeOffset Written);

/// <summary>One log on its way to one output, with what still waits in the log.</summary>
internal sealed record RouteStatus(PumpStatus Pump, QueueStatus? Queue);
