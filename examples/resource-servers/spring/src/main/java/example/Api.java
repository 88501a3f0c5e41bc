package example;

import jakarta.servlet.DispatcherType;
import java.security.Principal;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.http.HttpMethod;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.CsrfConfigurer;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@RestController
public class Api {
    public static void main(String[] arguments) {
        SpringApplication.run(Api.class, arguments);
    }

    @Bean
    SecurityFilterChain security(HttpSecurity http) throws Exception {
        return http
            .authorizeHttpRequests(requests -> requests
                // Without this line, the answer is 401 if Sentinel cannot be reached.
                .dispatcherTypeMatchers(DispatcherType.ERROR).permitAll()
                .requestMatchers("/public").permitAll()
                .requestMatchers(HttpMethod.POST, "/notes").hasAuthority("SCOPE_write")
                .anyRequest().hasAuthority("SCOPE_read"))
            // Without cookies, there is no cross-site request forgery to prevent.
            .csrf(CsrfConfigurer::disable)
            .oauth2ResourceServer(server -> server.opaqueToken(Customizer.withDefaults()))
            .build();
    }

    @GetMapping("/me")
    String me(Principal principal) {
        return principal.getName();
    }

    @PostMapping("/notes")
    String addNote(Principal principal) {
        return principal.getName();
    }

    @GetMapping("/public")
    String open() {
        return "public";
    }
}
