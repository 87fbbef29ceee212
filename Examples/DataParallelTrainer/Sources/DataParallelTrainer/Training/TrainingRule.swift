import Checkpoints
import Models
import TuttiTraining

/// A number type that is trained with: a model computes with it, Tutti reduces it, checkpoints hold it.
typealias TrainedElement = CheckpointElement & Scalar & TrainingElement

/// An optimizer's rule as a run uses it: with a learning rate that follows a schedule, and names for what it keeps.
protocol TrainingRule<Element>: UpdateRule where Element: TrainedElement {
  var learningRate: Double { get set }
  /// The names of the states, for checkpoints.
  var stateNames: [String] { get }
}
