//! The Java and the jars that Kafka runs on where there is no Docker: finds the first, fetches the second once
//! from Maven Central. Knows no node and no port.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::settings::VERSION;
use crate::failure::{Context, Failure, Result};

const OLDEST_JAVA: u32 = 17;
/// The log4j that this release of Kafka comes with.
const LOG4J: &str = "2.25.4";
const JAVA_HELP: &str = "on Debian or Ubuntu: apt-get install openjdk-17-jre-headless; \
     with Docker instead of Java: cargo xtask kafka start --docker";

/// The `java` to use, checked to be new enough.
pub(crate) fn find() -> Result<PathBuf> {
    let java = match env::var_os("JAVA_HOME").filter(|home| !home.is_empty()) {
        Some(home) => Path::new(&home).join("bin/java"),
        None => PathBuf::from("java"),
    };
    let said = Command::new(&java).arg("-version").output().map_err(|error| {
        Failure::new(format!(
            "Kafka {VERSION} needs Java {OLDEST_JAVA} or newer, and `{}` does not run ({error}). {JAVA_HELP}",
            java.display()
        ))
    })?;
    let text = String::from_utf8_lossy(&said.stderr);
    match major(&text) {
        Some(version) if version >= OLDEST_JAVA => Ok(java),
        Some(version) => Err(Failure::new(format!(
            "Kafka {VERSION} needs Java {OLDEST_JAVA} or newer, and `{}` is Java {version}. {JAVA_HELP}",
            java.display()
        ))),
        None => Err(Failure::new(format!(
            "`{} -version` does not say which Java it is: {}. Kafka {VERSION} needs Java {OLDEST_JAVA} or newer. {JAVA_HELP}",
            java.display(),
            text.trim()
        ))),
    }
}

/// The number of a Java release in what `java -version` says: `openjdk version "17.0.15" …`, `"1.8.0_402"` is 8.
fn major(said: &str) -> Option<u32> {
    let quoted = said.split('"').nth(1)?;
    let mut parts = quoted.split(['.', '-', '_', '+']);
    match parts.next()?.parse().ok()? {
        1 => parts.next()?.parse().ok(),
        version => Some(version),
    }
}

/// The folder with Kafka's jars, fetched when it is not there yet.
pub(crate) fn jars() -> Result<PathBuf> {
    let cache = cache_folder()?;
    let jars = cache.join(VERSION);
    if jars.is_dir() {
        return Ok(jars);
    }
    eprintln!("fetching Apache Kafka {VERSION} from Maven Central into {} (once)", jars.display());
    // Fetched beside its place and moved there whole, so that a broken download is never taken for a good one.
    let unfinished = cache.join(format!("{VERSION}.{}", std::process::id()));
    let fetched = fetch(&unfinished).and_then(|()| {
        fs::rename(&unfinished, &jars)
            .or_else(|error| if jars.is_dir() { Ok(()) } else { Err(error) })
            .context(|| format!("cannot move {} to {}", unfinished.display(), jars.display()))
    });
    let _ = fs::remove_dir_all(&unfinished);
    fetched.map(|()| jars)
}

fn cache_folder() -> Result<PathBuf> {
    let caches = env::var_os("XDG_CACHE_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .ok_or_else(|| Failure::new("no home folder to keep Kafka's jars in: set HOME or XDG_CACHE_HOME"))?;
    Ok(caches.join("txova-kafka"))
}

fn fetch(into: &Path) -> Result<()> {
    fs::create_dir_all(into).context(|| format!("cannot make {}", into.display()))?;
    let pom = into.join("pom.xml");
    fs::write(&pom, pom_text()).context(|| format!("cannot write {}", pom.display()))?;
    let status = Command::new("mvn")
        .args(["-q", "-B", "-Dstyle.color=never", "-f"])
        .arg(&pom)
        .arg("org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", into.display()))
        .arg("-DincludeScope=runtime")
        .stdout(std::io::stderr())
        .status()
        .map_err(|error| {
            Failure::new(format!(
                "Maven is needed once to fetch Kafka, and `mvn` does not run ({error}). \
                 On Debian or Ubuntu: apt-get install maven; with Docker instead: cargo xtask kafka start --docker"
            ))
        })?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "Maven could not fetch Apache Kafka {VERSION} ({status}): its own words are above"
        )))
    }
}

fn pom_text() -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>\n"
        )
    };
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\n\
         <groupId>local</groupId><artifactId>kafka</artifactId><version>1</version>\n\
         <dependencies>\n{}{}{}</dependencies></project>\n",
        dependency("org.apache.kafka", "kafka_2.13", VERSION),
        dependency("org.apache.kafka", "kafka-tools", VERSION),
        // Kafka's own archive has this jar, its Maven artifacts do not name it; without it a node logs nothing.
        dependency("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_of_a_java_is_read_from_what_it_says() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(major("java version \"1.8.0_402\""), Some(8));
        assert_eq!(major("openjdk version \"25-ea\" 2025-09-16"), Some(25));
        assert_eq!(major("bash: java: command not found"), None);
        assert_eq!(major("version \"\""), None);
    }

    #[test]
    fn the_pom_names_the_release_that_is_started() {
        assert_eq!(pom_text().matches(&format!("<version>{VERSION}</version>")).count(), 2);
    }
}
