package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// settings are the flags that may also stand in the environment and in the file.
var settings = []string{
	"brokers", "tls", "tls-ca", "tls-cert", "tls-key", "tls-insecure", "sasl-mechanism", "sasl-user", "sasl-password",
}

// configure sets what was not set by a flag, from the environment or the file.
func (t *tool) configure(flags *pflag.FlagSet) error {
	file, name, err := t.settingsFile(flags)
	if err != nil {
		return err
	}
	for _, flag := range settings {
		value, from := file[flag], name
		delete(file, flag)
		if v, ok := os.LookupEnv(variable(flag)); ok {
			value, from = v, variable(flag)
		}
		if value == "" || flags.Changed(flag) {
			continue
		}
		if err := flags.Set(flag, value); err != nil {
			return fmt.Errorf("%s: %s: %w", from, flag, err)
		}
	}
	for unknown := range file {
		return fmt.Errorf("%s: there is no setting %q; they are %s", name, unknown, strings.Join(settings, ", "))
	}
	if t.security.CA != "" || t.security.Cert != "" {
		t.security.TLS = true
	}
	return nil
}

// variable is the environment's name of a flag.
func variable(flag string) string {
	return "STREAMS_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// settingsFile reads the file with settings. Only one that was asked for must exist.
func (t *tool) settingsFile(flags *pflag.FlagSet) (settings map[string]string, name string, err error) {
	name, asked := os.LookupEnv(variable("config"))
	if flags.Changed("config") {
		name, asked = t.config, true
	}
	if !asked {
		dir, err := os.UserConfigDir()
		if err != nil {
			return nil, "", nil // nowhere to look
		}
		name = filepath.Join(dir, "streams", "config.yaml")
	}
	b, err := os.ReadFile(name)
	if !asked && errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	var raw map[string]any
	if err := yaml.Unmarshal(b, &raw); err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	settings = map[string]string{}
	for key, value := range raw {
		settings[key] = text(value)
	}
	return settings, name, nil
}

// text is a setting as a flag has it: a list with commas.
func text(value any) string {
	list, ok := value.([]any)
	if !ok {
		return fmt.Sprint(value)
	}
	var parts []string
	for _, v := range list {
		parts = append(parts, fmt.Sprint(v))
	}
	return strings.Join(parts, ",")
}
