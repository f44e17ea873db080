using System.Buffers.Binary;

namespace Hikyaku.Forward;

/// <summary>The forms in which senders write an event's time.</summary>
internal static class EntryTime
{
    private const long NanosecondsPerSecond = 1_000_000_000;
    private const long SecondsMax = long.MaxValue / NanosecondsPerSecond;

    /// <summary>Reads a time: EventTime, seconds as an integer or a float, nil, or one of these with metadata as [time, {…}]. Nanoseconds since 1970; 0 means now, also for a number no clock can show.</summary>
    public static bool TryRead(ref MessagePackReader reader, out long unixNanoseconds)
    {
        unixNanoseconds = 0;
        if (reader.Read(out var token) != ReadResult.Success)
            return false;
        if (token.Kind != MessagePackKind.Array)
            return TryConvert(token, out unixNanoseconds);
        var rest = token.Number;
        if (rest == 0 || reader.Read(out token) != ReadResult.Success || !TryConvert(token, out unixNanoseconds))
            return false;
        while (--rest > 0)
        {
            if (reader.Skip() != ReadResult.Success)
                return false;
        }
        return true;
    }

    /// <summary>Whether an ext is an EventTime, and which.</summary>
    public static bool TryEventTime(in MessagePackToken token, out uint seconds, out uint nanoseconds)
    {
        seconds = nanoseconds = 0;
        if (token.Kind != MessagePackKind.Extension || token.Extension != 0 || token.Payload.Length != 8)
            return false;
        seconds = BinaryPrimitives.ReadUInt32BigEndian(token.Payload);
        nanoseconds = BinaryPrimitives.ReadUInt32BigEndian(token.Payload[4..]);
        return true;
    }

    private static bool TryConvert(in MessagePackToken token, out long unixNanoseconds)
    {
        unixNanoseconds = 0;
        switch (token.Kind)
        {
            case MessagePackKind.Nil:
                return true;
            case MessagePackKind.Unsigned:
                unixNanoseconds = token.Number <= SecondsMax ? (long)token.Number * NanosecondsPerSecond : 0;
                return true;
            case MessagePackKind.Negative:
                unixNanoseconds = (long)token.Number >= -SecondsMax ? (long)token.Number * NanosecondsPerSecond : 0;
                return true;
            case MessagePackKind.Float:
                var seconds = Math.Floor(token.Double);
                if (Math.Abs(seconds) < SecondsMax)
                    unixNanoseconds = ((long)seconds * NanosecondsPerSecond) + (long)((token.Double - seconds) * NanosecondsPerSecond);
                return true;
            default:
                if (!TryEventTime(token, out var whole, out var nanoseconds))
                    return false;
                unixNanoseconds = (whole * NanosecondsPerSecond) + nanoseconds;
                return true;
        }
    }
}
