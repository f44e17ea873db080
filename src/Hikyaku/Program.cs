return Hikyaku.Commands.CommandLine.Run(args);
