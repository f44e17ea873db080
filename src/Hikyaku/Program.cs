using Hikyaku.Commands;
using Hikyaku.Supervision;

// Children are started while programs wait in write(2): nothing that they do not need may run before them.
return args switch
{
    [MountChild.Verb, .. var rest] => MountChild.Run(rest),
    [TransferChild.Verb, .. var rest] => TransferChild.Run(rest),
    [PluginChild.Verb, .. var rest] => PluginChild.Run(rest),
    _ => CommandLine.Run(args),
};
