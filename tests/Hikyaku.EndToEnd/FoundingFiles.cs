namespace Hikyaku.EndToEnd;

/// <summary>Two configurations with the sections, keys and spelling with which K2HFTFUSE's users write them.</summary>
internal static class FoundingFiles
{
    public static string Server(int port, string folder) => $$"""
        #
        # CHMPX GLOBAL SETTING
        #
        GLOBAL:
            {
                FILEVERSION:            1,
                DATE:                   "Thu, 01 Dec 2016 00:00:00 +0900",
                GROUP:                  K2HFUSETEST,
                MODE:                   SERVER,
                {{Ring(port)}}
            }

        SVRNODE:
            [
                {
                    NAME:               localhost,
                    SSL:                no
                }
            ]

        SLVNODE:
            [
                {
                    NAME:               "[.]*",
                    CTLPORT:            8022
                }
            ]

        #
        # K2HFTFUSESVR
        #
        K2HFTFUSESVR:
            {
                TYPE:                   file,
                FILE_BASEDIR:           {{folder}},
                FILE_UNIFY:             log/unify.log,
                FILE_TIMEFORM:          "%F %T(%s %-)",
                #PLUGIN:                 /usr/local/bin/myprogram,
                FORMAT:                 "%H:%F(%P):%f[%T] %L",
                K2HMASKBIT:             4,
                K2HCMASKBIT:            4,
                K2HMAXELE:              2
            }
        """;

    public static string Slave(int port) => $$"""
        GLOBAL:
            {
                FILEVERSION:            1,
                DATE:                   "Thu, 01 Dec 2016 00:00:00 +0900",
                GROUP:                  K2HFUSETEST,
                MODE:                   SLAVE,
                {{Ring(port)}}
            }

        SVRNODE:
            [
                {
                    NAME:               127.0.0.[1-1],
                    PORT:               {{port}},
                    CTLPORT:            8021,
                    SSL:                no
                }
            ]

        SLVNODE:
            [
                {
                    NAME:               "[.]*",
                    CTLPORT:            8022
                }
            ]

        K2HTPDTOR:
            {
                K2HTPDTOR_BROADCAST:    no,
            }

        K2HFTFUSE:
            {
                K2HTYPE:                mem,
                K2HMASKBIT:             4,
                K2HCMASKBIT:            4,
                K2HMAXELE:              2,

                #
                # K2HFTFUSE_RULE_DIR( K2HFTFUSE sub rule )
                #
                K2HFTFUSE_RULE_DIR:
                [
                    {
                        TARGET:             /,
                        TRUNS:              off,
                        OUTPUTFILE:         /dev/null,
                        DEFAULTALL:         ALLOW
                    },
                ],

                K2HFTFUSE_RULE:
                [
                    {
                        TARGET:             access.log,
                        TRUNS:              on,
                        OUTPUTFILE:         /dev/null,
                        DEFAULTALL:         ALLOW
                    },
                    {
                        TARGET:             error.log,
                        TRUNS:              on,
                        OUTPUTFILE:         /dev/null,
                        DEFAULTALL:         ALLOW
                    },
                ]
            }
        """;

    private static string Ring(int port) => $"""
        DELIVERMODE:            random,
                MAXCHMPX:               32,
                REPLICA:                0,
                MAXMQSERVER:            8,
                MAXMQCLIENT:            8,
                MQPERATTACH:            1,
                MAXQPERSERVERMQ:        2,
                MAXQPERCLIENTMQ:        8,
                MAXMQPERCLIENT:         4,
                PORT:                   {port},
                CTLPORT:                18021,
                SELFCTLPORT:            18021,
                RWTIMEOUT:              100000,
                RETRYCNT:               1000,
                CONTIMEOUT:             500000,
                MQRWTIMEOUT:            50,
                MQRETRYCNT:             100000,
                DOMERGE:                on,
                SSL:                    no,
                K2HFULLMAP:             on,
                K2HMASKBIT:             4,
                K2HCMASKBIT:            4,
                K2HMAXELE:              2
        """;
}
