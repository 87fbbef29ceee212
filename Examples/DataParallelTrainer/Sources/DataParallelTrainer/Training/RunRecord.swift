import Charts
import Foundation

/// The losses and evaluations of a run as rank 0 has seen them, and the files made of them.
///
/// Invariant: files of the output folder are replaced whole, so that a reader never sees half of one.
struct RunRecord {
  /// A line of `losses.jsonl`.
  struct Entry: Codable {
    /// Steps made, from 1.
    var step: Int
    /// The loss of the training batch, in nats for each target.
    var loss: Double
    var learningRate: Double
    /// The norm of the gradients before clipping; absent when they are not clipped.
    var gradientNorm: Double?
    var seconds: Double
    var exposedSeconds: Double
    /// The loss on held-out data; absent where nothing was evaluated after this step.
    var evaluationLoss: Double?
    var evaluationAccuracy: Double?
  }

  private(set) var entries: [Entry] = []
  private let folder: String?
  private var losses: String { "\(folder ?? "")/losses.jsonl" }

  /// - Parameters:
  ///   - folder: The output folder, which is made where it does not exist; nil to keep everything in memory.
  ///   - firstStep: The number of steps made before; what is known of them is kept.
  init(folder: String?, firstStep: Int) throws {
    self.folder = folder
    try Self.prepare(folder, resumes: firstStep > 0)
    guard folder != nil, firstStep > 0, let text = try? String(contentsOfFile: losses, encoding: .utf8) else { return }
    for (index, line) in text.split(separator: "\n").enumerated() {
      guard let entry = try? JSONDecoder().decode(Entry.self, from: Data(line.utf8)) else {
        throw CommandFailure(
          "\(losses), line \(index + 1): is not a line as this program writes it. Remove the file, or name another --output."
        )
      }
      if entry.step <= firstStep { entries.append(entry) }
    }
  }

  /// Makes the folder, and makes sure that no other run's files are replaced.
  ///
  /// - Parameter resumes: Whether the run goes on with what is there.
  static func prepare(_ folder: String?, resumes: Bool) throws {
    guard let folder else { return }
    do { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) } catch {
      throw CommandFailure("--output \(folder): cannot make this folder. Name one that this user can write.")
    }
    guard access(folder, W_OK | X_OK) == 0 else {
      throw CommandFailure("--output \(folder): cannot be written: \(systemErrorText()).")
    }
    if !resumes, access("\(folder)/losses.jsonl", F_OK) == 0 {
      throw CommandFailure("--output \(folder): has the losses of another run. Name another folder, or remove that one.")
    }
  }

  mutating func append(_ entry: Entry) { entries.append(entry) }

  /// Adds an evaluation to the last step.
  mutating func evaluated(loss: Double, accuracy: Double) {
    guard !entries.isEmpty else { return }
    entries[entries.count - 1].evaluationLoss = loss
    entries[entries.count - 1].evaluationAccuracy = accuracy
  }

  // MARK: Files and pictures

  /// - Parameter points: About how many points of training to show: each batch has its own loss, and means over several
  ///   steps show the course.
  private func series(points: Int) -> [ChartSeries] {
    let width = max(1, entries.count / points)
    let training = ChartSeries(
      name: width == 1 ? "training" : "training, means of \(width) steps",
      points: stride(from: 0, to: entries.count, by: width).map { start in
        let group = entries[start..<min(start + width, entries.count)]
        return ChartSeries.Point(
          x: Double(group.first!.step + group.last!.step) / 2, y: group.reduce(0) { $0 + $1.loss } / Double(group.count))
      })
    let held = entries.compactMap { entry in entry.evaluationLoss.map { ChartSeries.Point(x: Double(entry.step), y: $0) } }
    return held.isEmpty ? [training] : [training, ChartSeries(name: "held-out", points: held)]
  }

  /// The curve for a terminal.
  func curve(_ task: some TrainingTask) -> String {
    let environment = ProcessInfo.processInfo.environment
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
    let isUnicode = locale.lowercased().hasSuffix("utf-8") || locale.lowercased().hasSuffix("utf8")
    return lossCurveText(
      series: series(points: 60), title: "loss (nats)", references: references(task), logarithmicY: task.prefersLogarithm,
      style: isUnicode ? .unicode : .ascii)
  }

  func writeLosses() throws {
    guard folder != nil else { return }
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let lines = try entries.map { String(decoding: try encoder.encode($0), as: UTF8.self) + "\n" }
    try write(lines.joined(), to: losses)
  }

  func writePictures(_ spans: [TimelineSpan], title: String, _ task: some TrainingTask) throws {
    guard let folder else { return }
    let curve = lossCurveSVG(
      series: series(points: 300), title: title, references: references(task), logarithmicY: task.prefersLogarithm)
    try write(curve, to: "\(folder)/loss.svg")
    try write(timelineSVG(spans, title: "\(title): compute and communication"), to: "\(folder)/timeline.svg")
    try write(perfettoTrace(spans), to: "\(folder)/trace.json")
  }

  private func references(_ task: some TrainingTask) -> [ChartReference] {
    task.reference.map { [ChartReference(name: $0.name, value: $0.value)] } ?? []
  }

  private func write(_ text: String, to path: String) throws {
    do { try text.write(toFile: path, atomically: true, encoding: .utf8) } catch {
      throw CommandFailure("\(path): cannot be written: \(error.localizedDescription)")
    }
  }
}
