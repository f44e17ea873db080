using Hikyaku.Log;

namespace Hikyaku.Transfer.Intake;

/// <summary>The record behind a whole statement of what has been received: what is recalled begins where that statement does.</summary>
internal static class StatementMark
{
    /// <summary>False: there was no room.</summary>
    public static bool TryWrite(LogWriter log, ulong begun)
    {
        Span<byte> head = stackalloc byte[PeersRecord.HeadBytes(0, 0)];
        PeersRecord.WriteHead(head, Guid.Empty, [], begun, []);
        return log.TryAppend(RecordKind.Peers, head, [], out _);
    }

    /// <summary>Whether the record is one; <paramref name="begun"/> is the segment in which the statement begins.</summary>
    public static bool Is(in LogRecord record, out ulong begun)
    {
        begun = 0;
        if (record.Kind != RecordKind.Peers || !PeersRecord.TryParse(record.Body, out var peers) || peers.Origin != Guid.Empty || peers.Received.Length > 0)
            return false;
        begun = peers.Done;
        return true;
    }
}
