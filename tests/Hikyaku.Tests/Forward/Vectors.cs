namespace Hikyaku.Tests.Forward;

/// <summary>Golden bytes: messages as fluentd, Fluent Bit and Fluency write them.</summary>
internal static class Vectors
{
    public const string EventTimeFixed = "d70055ece6f8075bcd15";
    public const string EventTimeExt8 = "c7080055ece6f8075bcd15";
    public const string EventTimeMax = "d700ffffffff3b9ac9ff";
    public const string MessageInteger = "93a87461672e6e616d65ce55ece6f881a76d657373616765a3666f6f";
    public const string MessageEventTime = "93a87461672e6e616d65d70055ece6f8075bcd1581a76d657373616765a3666f6f";
    public const string MessageChunk = "94a87461672e6e616d65ce55ece6f881a76d657373616765a3666f6f81a56368756e6bb870386e39676d7854515643382f6e6832776c4b4b65513d3d";
    public const string AckOfMessageChunk = "81a361636bb870386e39676d7854515643382f6e6832776c4b4b65513d3d";
    public const string Forward = "93a87461672e6e616d659392ce55ece6f881a76d657373616765a3666f6f92ce55ece6f981a76d657373616765a362617292ce55ece6fa81a76d657373616765a362617a81a473697a6503";
    public const string Entries = "92d70055ece6f80000000081a76d657373616765a3666f6f92d70055ece6f90000000081a76d657373616765a362617292d70055ece6fa0000000081a76d657373616765a362617a";
    public const string PackedBin8 = "93a87461672e6e616d65c448" + Entries + "81a473697a6503";
    public const string PackedStr8 = "93a87461672e6e616d65d948" + Entries + "81a473697a6503";
    public const string PackedFluentd = "93a87461672e6e616d65db00000048" + Entries + "83a473697a6503aa636f6d70726573736564a474657874a56368756e6bb970386e39676d7854515643382f6e6832776c4b4b65513d3d0a";
    public const string AckOfPackedFluentd = "81a361636bb970386e39676d7854515643382f6e6832776c4b4b65513d3d0a";
    public const string Gzip = "93a87461672e6e616d65c43a1f8b08000100000000039b749d21f4cdb31f0c40d0b83c37b5b838313d75715a7efe24b0f84f54f1a4c42288f82f74f12a0012aab32c4800000082a473697a6503aa636f6d70726573736564a4677a6970";
    public const string GzipTwoMembers = "93a87461672e6e616d65c45d1f8b08000100000000039b749d21f4cdb31f0c40d0b83c37b5b838313d75715a7e3e00a92fa8fb180000001f8b08000100000000039b749d21f4cdb39f0c40d0b83c37b5b838313d75715262d124b0f82f74f12a007f488f243000000083a473697a6503aa636f6d70726573736564a4677a6970a56368756e6bb870386e39676d7854515643382f6e6832776c4b4b65513d3d";
    public const string FluencyOptions = "82a473697a6548a56368756e6bd92436663263316530612d336630652d346634332d396435352d306435663361336131623131";
    public const string Heartbeat = "c0";
    public const string FluentBitMetadata = "93a87461672e6e616d65919292d70055ece6f8075bcd158081a76d657373616765a3666f6f81ad666c75656e745f7369676e616c00";
    public const string PackedEmpty = "93a87461672e6e616d65d90081a473697a6500";
    public const string PackedTruncated = "93a87461672e6e616d65c40392d70081a56368756e6ba27136";
    public const string UnknownCompression = "93a87461672e6e616d65c40301020382a56368756e6ba27137aa636f6d70726573736564a36c7a34";

    /// <summary>Fluent Bit in its default mode: a bin with metadata times, a chunk of 32 hex digits, the signal.</summary>
    public const string FluentBitPacked = "93a56170702e31c41e9292d70055ece6f8075bcd158081a36c6f67ab68656c6c6f20776f726c6483a56368756e6bd9203030313132323333343435353636373738383939616162626363646465656666a473697a6501ad666c75656e745f7369676e616c00";

    /// <summary>Every vector that is one whole top-level value.</summary>
    public static readonly string[] Messages =
    [
        MessageInteger, MessageEventTime, MessageChunk, Forward, PackedBin8, PackedStr8, PackedFluentd, Gzip, GzipTwoMembers,
        Heartbeat, FluentBitMetadata, PackedEmpty, PackedTruncated, UnknownCompression, FluentBitPacked,
    ];

    public static byte[] Bytes(params string[] hex) => Convert.FromHexString(string.Concat(hex));
}
