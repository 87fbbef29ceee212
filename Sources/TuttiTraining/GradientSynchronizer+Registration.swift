// What ranks agree on when they register parameters.

import Tutti

extension GradientSynchronizer {
  static func layout(_ parameters: [Parameter<Element>], _ order: [Int], _ options: SynchronizerOptions) -> BucketLayout {
    let stride = MemoryLayout<Element>.stride
    return BucketLayout(
      counts: parameters.map(\.values.count), order: order, maximum: options.bucketBytes / stride,
      first: options.firstBucketBytes / stride, last: options.lastBucketBytes / stride,
      alignment: GradientMemory<Element>.alignment)
  }

  /// Why such a synchronizer cannot be made; nil if it can.
  static func complaint(_ parameters: [Parameter<Element>], _ options: SynchronizerOptions) -> String? {
    if parameters.isEmpty { return "there are no parameters to synchronise" }
    if parameters.count > Int32.max / 2 { return "\(parameters.count) parameters are too many" }
    var names: Set<String> = []
    for parameter in parameters where !names.insert(parameter.name).inserted {
      return "two parameters are called '\(parameter.name)'"
    }
    let byAddress = parameters.filter { !$0.values.isEmpty }.sorted { $0.values.baseAddress! < $1.values.baseAddress! }
    for (one, next) in zip(byAddress, byAddress.dropFirst())
    where one.values.baseAddress! + one.values.count > next.values.baseAddress! {
      return "parameters '\(one.name)' and '\(next.name)' share memory: register what they share once"
    }
    if Element.self != Float.self && Element.self != Double.self { return "parameters of \(Element.self) cannot be trained" }
    if options.wireType != .full && Element.self != Float.self {
      return "\(options.wireType.rawValue) on the wire is for parameters of Float, not of \(Element.self)"
    }
    for (name, bytes) in [
      ("bucketBytes", options.bucketBytes), ("firstBucketBytes", options.firstBucketBytes),
      ("lastBucketBytes", options.lastBucketBytes),
    ] where bytes < 1 {
      return "\(name) is \(bytes), and must be 1 or more"
    }
    if let order = options.readyOrder, order.sorted() != Array(parameters.indices) {
      return "readyOrder does not have each of the \(parameters.count) parameters once"
    }
    return nil
  }

  /// Everything that must be equal on all ranks.
  ///
  /// - Parameter complaint: Why this rank cannot go on, for the others to hear.
  static func agreement(
    _ parameters: [Parameter<Element>], _ options: SynchronizerOptions, _ complaint: String?
  ) -> [(name: String, value: String)] {
    var settings = [
      ("whether parameters can be registered", complaint ?? "yes"),
      ("type of parameters", "\(Element.self)"), ("number of parameters", "\(parameters.count)"),
      ("bucketBytes", "\(options.bucketBytes)"), ("firstBucketBytes", "\(options.firstBucketBytes)"),
      ("lastBucketBytes", "\(options.lastBucketBytes)"), ("reduction", options.reduction.rawValue),
      ("sharding", options.sharding.rawValue), ("wireType", options.wireType.rawValue),
      ("algorithm", options.reductionAlgorithm ?? "auto"), ("prioritizes", "\(options.prioritizes)"),
      ("readyOrder", options.readyOrder.map { "\($0)" } ?? "unknown"),
    ]
    for (index, parameter) in parameters.enumerated() {
      settings.append(("parameter \(index)", "'\(parameter.name)' of \(parameter.values.count) elements"))
    }
    return settings.map { (name: $0.0, value: $0.1) }
  }
}
