import ArgumentParser
import TuttiLaunch

/// On which hosts a command starts its ranks.
struct HostOptions: ParsableArguments {
  @Option(help: "Start ranks on these hosts, over ssh: a:4,user@b:4,[fd00::1]:2. Rank 0 is on the first.")
  var hosts: String?

  @Option(help: "The same from a file: a line for each host, as 'name slots=4' or 'name:4', with # comments.")
  var hostfile: String?

  @Option(
    help: """
      What runs a command on a host, instead of ssh: 'ssh -p 2222', 'docker exec -i', 'kubectl exec -i {host} --', \
      'ip netns exec'.
      """)
  var rsh: String?

  @Flag(help: "With --hosts: show what every rank prints, each line with its rank.")
  var prefixOutput = false

  @Option(help: "With --hosts: seconds until all hosts must have answered. (default: 60)")
  var connectTimeout: Double?

  /// Whether ranks go to hosts.
  var areGiven: Bool { hosts != nil || hostfile != nil }

  /// The hosts; nil where none were asked for.
  ///
  /// - Parameter ranks: What `--ranks` has, which excludes them.
  func list(ranks: Int?) throws -> HostList? {
    guard areGiven else {
      let idle = ["--rsh": rsh != nil, "--prefix-output": prefixOutput, "--connect-timeout": connectTimeout != nil]
      if let flag = idle.filter(\.value).keys.min() {
        throw ValidationError("\(flag) is for ranks on hosts: give --hosts or --hostfile with it.")
      }
      return nil
    }
    guard ranks == nil else {
      throw ValidationError(
        "--ranks and \(hosts == nil ? "--hostfile" : "--hosts") exclude each other: hosts have numbers of ranks.")
    }
    guard hosts == nil || hostfile == nil else {
      throw ValidationError("--hosts and --hostfile exclude each other: give one of the two.")
    }
    if let connectTimeout, !(connectTimeout > 0 && connectTimeout <= 86_400) {
      throw ValidationError("--connect-timeout \(connectTimeout): must be more than 0 and at most 86400 seconds.")
    }
    do throws(LaunchError) {
      _ = try shell
      if let hosts { return try HostList(hosts, source: "--hosts") }
      return try hostfile.map { path throws(LaunchError) in try HostList(file: path) }
    } catch { throw ValidationError(error.description) }
  }

  private var shell: RemoteShell? {
    get throws(LaunchError) { try rsh.map { command throws(LaunchError) in try RemoteShell(command, source: "--rsh") } }
  }

  /// How the hosts are reached.
  func access() throws(LaunchError) -> HostAccess {
    var access = HostAccess(agent: HostAgent(version: toolVersion), shell: try shell)
    access.prefixesOutput = prefixOutput
    if let connectTimeout { access.connectLimit = .nanoseconds(Int64(connectTimeout * 1e9)) }
    return access
  }
}

/// `collbench host-agent`: starts ranks of this host for a collbench on another one. Not for people.
struct HostAgentCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "host-agent", abstract: "Starts ranks of this host for a collbench on another.", shouldDisplay: false)

  func run() throws { throw ExitCode(HostAgent.serve(version: toolVersion)) }
}
