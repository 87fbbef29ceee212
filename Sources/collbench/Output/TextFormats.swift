/// Writes lines for people, in the columns of nccl-tests. GB are 10^9 bytes.
struct TableFormat {
  let configuration: RunConfiguration
  let rankCount: Int
  let isEncrypted: Bool
  let system: SystemFacts

  /// Column titles and widths; negative: left-aligned.
  private var columns: [(title: String, width: Int)] {
    let widest = configuration.elements.map(\.operation.name.count).max() ?? 0
    let operation = configuration.subject.combines ? [("op", -max(4, widest))] : []
    let root = configuration.subject.hasRoot ? [("root", 4)] : []
    return [("bytes", 12), ("count", 11), ("type", -8)] + operation + root + [
      ("algorithm", -22), ("transport", -9), ("median us", 11), ("min us", 11), ("p99 us", 11), ("algbw GB/s", 10),
      ("busbw GB/s", 10), ("wrong", 6),
    ]
  }

  var header: String {
    let subject = configuration.subject
    let algorithm = subject.algorithms.isEmpty ? "" : ", algorithm \(configuration.algorithms.name)"
    let buffers =
      subject.carriesData
      ? (configuration.inPlace ? ", in place" : ", out of place") + (configuration.registered ? ", registered" : "")
        + (configuration.unaligned ? ", unaligned" : "") : ""
    let pace =
      configuration.backToBack ? "averages of iterations back to back, without barriers" : "each iteration after a barrier"
    return """
      # collbench \(toolVersion): \(subject.name), \(rankCount) rank\(rankCount == 1 ? "" : "s"), \
      transport \(configuration.transport.name)\(isEncrypted ? ", TLS over TCP" : "")\(algorithm)\(buffers)
      # \(system.host): \(system.cpu), \(system.cores) cores, \(ByteSize.approximate(system.memoryBytes)), \(system.kernel)
      # times are the slowest rank's, \(pace); GB = 10^9 bytes

      """ + row(columns.map(\.title))
  }

  func line(_ measurement: Measurement, highlight: (String) -> String = { $0 }) -> String {
    let microseconds = { (nanoseconds: Double) in decimal(nanoseconds / 1000, digits: 2) }
    var cells = ["\(measurement.bytes)", "\(measurement.count)", measurement.type ?? "-"]
    if let operation = measurement.operation { cells.append(operation) }
    if let root = measurement.root { cells.append("\(root)") }
    cells += [
      measurement.algorithm ?? "-", measurement.transport, microseconds(measurement.times.median),
      microseconds(measurement.times.minimum), microseconds(measurement.times.percentile99),
      decimal(measurement.algorithmBandwidth, digits: 3), decimal(measurement.busBandwidth, digits: 3),
      measurement.wrongElements.map(String.init) ?? "-",
    ]
    let line = row(cells)
    return (measurement.wrongElements ?? 0) == 0 ? line : highlight(line)
  }

  private func row(_ cells: [String]) -> String {
    let padded = zip(cells, columns).map { cell, column in
      let space = String(repeating: " ", count: max(0, abs(column.width) - cell.count))
      return column.width < 0 ? cell + space : space + cell
    }
    return padded.joined(separator: " ") + "\n"
  }
}

/// Writes the results of the JSON as comma-separated values, one line each. No field ever holds a comma or a quote.
enum CSVFormat {
  static func text(_ measurements: [Measurement]) -> String {
    let header = """
      collective,bytes,count,dtype,op,root,ranks,algorithm,transport,inPlace,iterations,minMicroseconds,medianMicroseconds,\
      p99Microseconds,meanMicroseconds,maxMicroseconds,algbwGBps,busbwGBps,wrongElements

      """
    return header + measurements.map(line).joined()
  }

  private static func line(_ measurement: Measurement) -> String {
    let samples = measurement.times
    let times = [samples.minimum, samples.median, samples.percentile99, samples.mean, samples.maximum].map {
      decimal($0 / 1000, digits: 3)
    }
    let fields =
      [
        measurement.subject.name, "\(measurement.bytes)", "\(measurement.count)", measurement.type ?? "",
        measurement.operation ?? "", measurement.root.map(String.init) ?? "", "\(measurement.rankCount)",
        measurement.algorithm ?? "", measurement.transport,
        "\(measurement.inPlace)", "\(samples.iterationCount)",
      ] + times + [
        "\(measurement.algorithmBandwidth)", "\(measurement.busBandwidth)",
        measurement.wrongElements.map(String.init) ?? "",
      ]
    return fields.joined(separator: ",") + "\n"
  }
}
